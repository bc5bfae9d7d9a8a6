"""What `KubernetesRuntime` is made of."""
