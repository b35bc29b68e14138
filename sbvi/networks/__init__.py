"""What encoders, decoders and flows are built of, with Flax NNX."""
