"""What `kinestream doctor` looks at beyond the plain facts: what is installed, the GPU, the engines."""
