"""The gallery: what people draw, by theme. `python -m tests.gallery` writes its pictures, test_gallery.py judges them."""
