"""Worked solutions, text trees and descriptions."""
