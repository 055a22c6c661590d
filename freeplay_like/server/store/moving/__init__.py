"""Moving everything from one database into another one while its server goes on, and proving that it is all there."""
