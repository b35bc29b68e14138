"""Arrays in, files out: TensorBoard, metrics.jsonl, pictures."""
