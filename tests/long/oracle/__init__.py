"""Long tests of the package clawvm_oracle."""
