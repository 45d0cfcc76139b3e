"""What the commands for operators share: who acts, what is typed, and what a terminal shows."""
