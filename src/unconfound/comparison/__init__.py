"""Recipes x seeds as one table: what is run, how it goes on after a kill, several processes."""
