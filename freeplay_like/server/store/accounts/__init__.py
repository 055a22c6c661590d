"""Projects, the keys of programs, people's browsers, and the providers a project may ask."""
