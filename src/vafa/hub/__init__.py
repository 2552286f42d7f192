"""The cloud side: what devices send is kept, checked and answered; merchants never meet."""
