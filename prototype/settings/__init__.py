"""How a setting is declared, read and checked: kinds of values, options, .env. For config alone."""
