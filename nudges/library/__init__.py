"""What a program vouches for itself: who signed which text off, and which places near its families were checked."""
