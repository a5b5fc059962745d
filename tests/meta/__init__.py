"""What holds of the whole project: that names agree, that pages tell the truth, and how the module was built."""
