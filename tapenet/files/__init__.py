"""What is kept on disk: arrays and states as safetensors, written whole or not at all."""
