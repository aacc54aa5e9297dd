"""The centre's archive: messages of a fleet by day and task, exactly as they were sent, and their replay."""
