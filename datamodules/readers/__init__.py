"""Files of pictures and their tables, without Lightning.

`files`: a folder or a zip archive; `decode`: one picture to a small square array; `cache`: many of
them, once; `table`: CSV; `celeba`: CelebA's tables and splits; `idx`: the files of MNIST.
"""
