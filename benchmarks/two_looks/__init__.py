"""Accuracy of the joint inversion of several looks on scenes whose truth is known."""
