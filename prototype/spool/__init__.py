"""The queue on disk: folders, shelves, and small files of state. For programme, generation, screen and above."""
