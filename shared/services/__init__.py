"""One class per noun, its verbs as methods. Everything outside is reached through the ports."""
