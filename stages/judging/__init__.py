"""What several rules need to judge what they see: pure functions and numpy, nothing of it knows a rule.

    places      polygons and points of a picture, as a configuration gives them, checked
    distances   how far points are inside a polygon, or to the right of a line
    anchors     the point of a person that counts: feet, hip, or middle of the box
    attendance  who is here, who was here a moment ago, who is gone; in the time of the stream
    body        how people hold themselves, read off their joints

Points are (x, y) in pixels of the frame, times in seconds of the stream.
"""
