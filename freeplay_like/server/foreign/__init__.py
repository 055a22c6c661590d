"""What other people's clients send, read as records: messages in any provider's shape, Freeplay's bodies."""
