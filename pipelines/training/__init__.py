"""The commands that train what methods need beforehand, such as experts."""
