"""Spans of OpenTelemetry: how they are read, and which of them are calls of a model. Pure, one file a convention."""
