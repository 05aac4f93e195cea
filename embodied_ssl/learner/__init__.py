"""The online learner: state, draws, the update, snapshots, streams and checkpoints."""
