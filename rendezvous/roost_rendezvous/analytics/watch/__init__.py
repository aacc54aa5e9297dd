"""From the streams of a device to rows, windows, readings and alarms, without configuration. Pure: time is an argument.

`observed` is what is kept of a message, `joining` makes rows of it, `planning` says which detector a row feeds,
`watching` puts it together. Who subscribes, writes files and publishes is `roost_rendezvous.monitor`.
"""
