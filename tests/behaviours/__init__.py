"""What a broker owes its users beyond the letter of the specification, and where it chose among what is allowed."""
