"""What a page needs: its style and plots, panels, progress, and the checking of exercises."""
