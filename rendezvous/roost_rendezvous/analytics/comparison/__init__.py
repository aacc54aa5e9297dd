"""Which model is better, and what does the new one risk? Two models on the same requests (the book, ch. 5 and 6).

Pure: rows in, values out. `comparing.compare` does the whole; each piece works alone on rows from a file.
"""
