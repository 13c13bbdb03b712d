"""Forward passes of trained models beside onnxruntime and PyTorch."""
