"""One evening of playing. For app.

`build` starts the stages in order and stops them upwards: the `opening` is heard at once, with what the `prelude`
found; `sound` is all that is heard, `session` all else, and the terminal last. Whatever is wished, by key, through
`control` and `mpris` or by the `timers`, the `conductor` carries out.
"""
