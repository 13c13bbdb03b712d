"""Layers around a call and a gradient, there only while they are on."""
