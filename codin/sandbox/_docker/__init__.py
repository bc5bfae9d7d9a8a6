"""What `DockerSandbox` is made of."""
