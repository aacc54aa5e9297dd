"""The pre-lined container of a model: streams, queue, answers, state. The author writes none of it."""
