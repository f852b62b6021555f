"""What the listener sees and types. For session and modes.

Seen: a moment of the program (`view`) is drawn in parts (`panels`, `vitals`, `overlays`, of `widgets`) that make one
`picture`, which the `dashboard` shows; or it is told in `plain_lines`. Typed: what the `keyboard` reads are `keys`, and
`controls` says what they mean. The modes beside playing print by `printing`.
"""
