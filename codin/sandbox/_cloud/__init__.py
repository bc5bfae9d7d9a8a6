"""What all sandboxes in rented machines share: a guest in the machine, and a line to it."""
