"""The public feed: from official results to posts, an Atom feed and a page; and from replies to label suggestions."""
