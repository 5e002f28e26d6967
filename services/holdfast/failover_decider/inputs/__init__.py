"""What the core is given and answers, kept on disk: the input journal."""
