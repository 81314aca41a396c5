"""From one network to another: `Model -> Model`, weights kept by path."""
