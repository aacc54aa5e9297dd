"""Shapes: whether scores, answers, durations and inputs are distributed as they used to be (the book, ch. 7).

`evidence` is the engine: the share of a cell has changed, judged against the stream's own history. `numbers` and
`categories` watch one stream with it; `scores`, `clusters`, `latency`, `fields` and `canary` what models and requests
throw off; `tails` compares short periods; `watching` does all of it for a task's rows. numpy alone; no clock, no file.
"""
