"""The crisis desk: people try, add to and publish what the crisis screen says, and rehearse what happens then."""
