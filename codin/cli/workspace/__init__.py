"""A folder of agents that are run together: what is in it, who looks after the processes, and what a person sees."""
