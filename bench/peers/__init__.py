"""What the service is measured against: the same job by other means, each as its users write it."""
