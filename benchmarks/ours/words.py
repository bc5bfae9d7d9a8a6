"""What the models of the adapter benchmarks say: fifty words, streamed one by one."""

TEXT = " ".join(f"word{number}" for number in range(50))
PIECES = [f"{word} " for word in TEXT.split()[:-1]] + [TEXT.split()[-1]]
