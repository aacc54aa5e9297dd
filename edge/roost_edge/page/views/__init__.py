"""What the pages say, as HTML: values in, text out. Nothing in here reads a file or a clock."""
