"""What is computed: kernels, their reference, other people's implementations, and the digests that later versions keep."""
