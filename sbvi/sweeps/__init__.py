"""Many runs at once: workers that start once, and runs side by side in one program."""
