"""The registry: signed bundles and roll-outs as static files (The Update Framework), and its reader on a device."""
