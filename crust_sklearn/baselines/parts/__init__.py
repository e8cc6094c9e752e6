"""What the methods are made of: networks that they train first, losses, and estimates."""
