"""What the listener sees and types: view, panels, dashboard, plain lines, keyboard. For session and modes."""
