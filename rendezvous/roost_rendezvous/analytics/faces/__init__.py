"""What people see of the analytics: plots as inline SVG, text for a terminal, OpenMetrics. Plain values in, text out.

All of it is pure. What draws and what tells needs no numpy, so that the device's page does it in its own small process;
what computes a report does: `gathering`, `task_rows`, `periods`, `predicting`, `from_windows`, `replaying`.
"""
