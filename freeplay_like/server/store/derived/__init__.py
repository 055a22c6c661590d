"""What follows the records behind the commits, and every question that it answers."""
