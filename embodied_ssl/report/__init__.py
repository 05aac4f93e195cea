"""What a run says about itself: metric sinks, the live display and the HTML report."""
